"""The one tree of errors: what went wrong, what to type next, and which exit code it means.

All that a caller can meet are classes here: a family carries the exit code, a leaf the `code` that JSON output shows.
"""

from __future__ import annotations


class ChronosError(Exception):
    """A bug of ours: nothing that the caller did explains it."""

    code = "internal"
    exit_code = 70
    http_status = 500
    default_hint = "please report this with the command that you ran"

    def __init__(self, message: str, *, hint: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.hint = self.default_hint if hint is None else hint


class UsageError(ChronosError):
    """The request itself is wrong: an unknown name, a bad option."""

    code = "usage"
    exit_code = 2
    http_status = 400
    default_hint = "see `chrono --help`"


class StateError(ChronosError):
    """The request is fine but the moment is wrong."""

    code = "wrong_moment"
    exit_code = 3
    http_status = 409
    default_hint = "run `chrono status` to see where things stand"


class IntegrityError(ChronosError):
    """Stored data is damaged or does not match its own hash."""

    code = "integrity"
    exit_code = 4
    http_status = 500
    default_hint = "run `chrono verify` to see what is damaged and what is not"


class OutsideError(ChronosError):
    """Something outside failed: git, the disk, the operating system."""

    code = "outside"
    exit_code = 5
    http_status = 502
    default_hint = "fix the cause named above and run the command again; nothing was lost"


class UnsupportedError(ChronosError):
    """A version, format or platform that this release does not serve."""

    code = "unsupported"
    exit_code = 6
    http_status = 501
    default_hint = "upgrade the older side"


class RefusedError(ChronosError):
    """Refused on purpose, because it could destroy work."""

    code = "refused"
    exit_code = 7
    http_status = 403
    default_hint = "look at the plan first"


class BadNameError(UsageError):
    """A checkpoint, timeline or tag name that is empty, too long, or could be taken for an option or a path."""

    code = "bad_name"
    default_hint = "use letters, digits, spaces and . _ - : # @ / +, at most 120 characters, not starting with - or @"


class UnknownCheckpointError(UsageError):
    """No checkpoint answers to this id, prefix, name or relative position."""

    code = "unknown_checkpoint"
    default_hint = "run `chrono checkpoint list`"


class AmbiguousCheckpointError(UsageError):
    """A prefix that more than one checkpoint begins with."""

    code = "ambiguous_checkpoint"
    default_hint = "give more characters of the id"


class UnknownTimelineError(UsageError):
    """No timeline of this name has checkpoints or a folder."""

    code = "unknown_timeline"
    default_hint = "run `chrono timeline list` to see the timelines"


class BadTimelineNameError(UsageError):
    """A name that a timeline cannot have: no folder or no git branch could be called so."""

    code = "bad_timeline_name"
    default_hint = "use 1 to 64 letters, digits and . _ - ; begin with a letter or a digit"


class UnknownConflictError(UsageError):
    """Nothing that waits to be decided is so called, or it cannot be decided in that way."""

    code = "unknown_conflict"
    default_hint = "run `chrono conflicts` to see what is to be decided"


class BadPathError(UsageError):
    """A path that leaves the tree, names git's own folder, or is not a legal file name."""

    code = "bad_path"
    default_hint = "give a path inside the working tree"


class BadConfigError(UsageError):
    """A setting with a value of the wrong type or range."""

    code = "bad_config"
    default_hint = "see the configuration table in README.md"


class UnknownKindError(UsageError):
    """There is no kind of memory store of this name."""

    code = "unknown_kind"


class UnknownStoreError(UsageError):
    """No memory store of this name is known, or the checkpoint has none."""

    code = "unknown_store"
    default_hint = "run `chrono memory list`"


class UnknownResolverError(UsageError):
    """There is no merge resolver of this name."""

    code = "unknown_resolver"


class NothingToUndoError(StateError):
    """There is no operation left to undo or redo on this timeline."""

    code = "nothing_to_undo"
    default_hint = "run `chrono log` to see the operations"


class ChangedMeanwhileError(StateError):
    """The working tree changed between the plan and its execution."""

    code = "changed_meanwhile"
    default_hint = "look at the new plan and run the command again"


class ForeignTimelineError(StateError):
    """The timeline belongs to another working tree, whose files its operations would write."""

    code = "foreign_timeline"
    default_hint = "give each project its own CHRONOS_TIMELINES_DIR"


class TimelineExistsError(StateError):
    """A new timeline would take the name or the place of something that is there already."""

    code = "timeline_exists"
    default_hint = "give another name, or delete the old one with `chrono timeline delete`"


class NoCommonCheckpointError(StateError):
    """Two timelines have no checkpoint in common, so nobody can tell what each of them changed."""

    code = "no_common_checkpoint"
    default_hint = "name a checkpoint to compare both with, with --base"


class StoreInUseError(StateError):
    """Another process uses a memory store, which cannot be replaced under it."""

    code = "store_in_use"
    default_hint = "end that process and run the command again; nothing was touched"


class StoreChangedError(StateError):
    """A memory store was written to between the plan and its execution."""

    code = "store_changed"
    default_hint = "let whatever writes to it pause, and run the command again; the store is as it was"


class LockedError(StateError):
    """Another chrono process holds the lock and did not let go in time."""

    code = "locked"
    default_hint = "wait for it, or raise CHRONOS_LOCK_TIMEOUT"


class DisabledError(StateError):
    """Chronos is switched off by configuration."""

    code = "disabled"
    default_hint = "set ENABLE_CHRONOS=true, or remove `enabled = false` from the configuration"


class InterruptedOperationError(StateError):
    """A restore was cut short and could not be finished by itself."""

    code = "interrupted_operation"
    default_hint = "run `chrono recover`"


class DamagedStoreError(IntegrityError):
    """A file that says what a store or a timeline is cannot be read, or is gone."""

    code = "damaged_store"


class DamagedManifestError(IntegrityError):
    """A checkpoint.json that is not valid or does not hash to the id of its folder."""

    code = "damaged_manifest"


class DamagedPackError(IntegrityError):
    """A pack whose footer or frames cannot be read."""

    code = "damaged_pack"


class MissingChunkError(IntegrityError):
    """A chunk that a checkpoint needs and no pack holds."""

    code = "missing_chunk"


class DamagedJournalError(IntegrityError):
    """A journal or operation record that cannot be read."""

    code = "damaged_journal"


class UnreadableStoreError(IntegrityError):
    """A memory store is damaged, encrypted, or no store of its kind."""

    code = "unreadable_store"
    default_hint = "it is captured and restored as plain files all the same"

    @property
    def reason(self) -> str:
        """Why it cannot be read, without its place: that may be a copy of ours."""
        return self.message.rpartition(" cannot be read: ")[2]


class DamagedParcelError(IntegrityError):
    """A `.chrono` file that is cut short or altered, that is none, or whose content cannot be what an export wrote."""

    code = "damaged_parcel"
    default_hint = "nothing was imported; get the file again, or export the checkpoint again"


class VerifyFailedError(IntegrityError):
    """After a restore the tree is not what the plan promised."""

    code = "restore_differs"
    default_hint = "run `chrono undo` to go back to the state before the restore"


class GitFailedError(OutsideError):
    """A git command failed or warned about something that we depend on."""

    code = "git_failed"


class GitMissingError(OutsideError):
    """There is no git on the PATH."""

    code = "git_missing"
    default_hint = "install git 2.38 or newer"


class ToolFailedError(OutsideError):
    """A program that was to decide something, such as a conflict, ended without a result."""

    code = "tool_failed"
    default_hint = "nothing is decided; decide it in another way, or run the command again"


class CatalogDamagedError(OutsideError):
    """The catalog cannot be read; it is a cache and is built again from the checkpoint folders."""

    code = "catalog_damaged"
    default_hint = "run the command again; nothing was lost"


class StorageError(OutsideError):
    """The operating system refused a read or a write: full disk, no permission, broken device."""

    code = "storage"


class LowSpaceError(StorageError):
    """What a checkpoint needs would leave less of the disk free than `min_free_bytes`."""

    code = "low_space"
    default_hint = (
        "free some space (`chrono gc` gives back what no checkpoint needs) and run it again; nothing was lost"
    )


class ResolverFailedError(OutsideError):
    """A merge resolver cannot reach what it asks, is not let in there, or gets nothing useful out of it."""

    code = "resolver_failed"
    default_hint = "no conflict was touched; fix the cause named above and run it again, or resolve them by hand"


class GitTooOldError(UnsupportedError):
    """The installed git is older than 2.38."""

    code = "git_too_old"
    default_hint = "install git 2.38 or newer"


class NewerFormatError(UnsupportedError):
    """The store or a checkpoint was written by a newer chronomancer."""

    code = "newer_format"
    default_hint = "upgrade with `pipx upgrade chronomancer`"


class UnsupportedRepositoryError(UnsupportedError):
    """A kind of repository that has no working tree to capture, such as a bare one."""

    code = "unsupported_repository"
    default_hint = "run chrono in a folder with files: a working tree, or a plain folder"


class IncompleteBaseError(UnsupportedError):
    """A shallow or partial clone cannot give the whole history of a base commit."""

    code = "incomplete_base"
    default_hint = "run `git fetch --unshallow`, or export without --base"


class DangerousRootError(RefusedError):
    """A home folder, a file-system root or a system folder is no project."""

    code = "dangerous_root"
    default_hint = "go into a project folder, or name one with --root"


class UntrustedStoreError(RefusedError):
    """A store that somebody else made: it came with a clone, or belongs to another user."""

    code = "untrusted_store"


class ConfirmationNeededError(RefusedError):
    """A step that overwrites or deletes was asked for without a terminal and without --yes."""

    code = "confirmation_needed"
    default_hint = "look at it with --plan, then add --yes"


class QuotaExceededError(RefusedError):
    """A checkpoint would make the store larger than `quota_bytes`, also after retention and gc."""

    code = "quota_exceeded"
    default_hint = "see `chrono du`; then `chrono gc --named --plan`, or raise CHRONOS_QUOTA_BYTES"


class TargetNotEmptyError(RefusedError):
    """`--into` names a folder that already has something in it."""

    code = "target_not_empty"
    default_hint = "give a folder that does not exist yet"


class TargetExistsError(RefusedError):
    """A file is to be written where something stands already."""

    code = "target_exists"
    default_hint = "give another name, or remove what stands there"


class SecretInSealError(RefusedError):
    """What is sealed into a checkpoint (its name, a path, a table's name) seems to hold a secret."""

    code = "secret_in_seal"
    default_hint = "it cannot be left out of an export; --include-secrets exports it as it is"
