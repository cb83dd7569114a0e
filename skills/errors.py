"""What can go wrong between an agent and an action; the families, and all else, are those of `chronos.errors`."""

from __future__ import annotations

from chronos.errors import RefusedError, UsageError


class UnknownActionError(UsageError):
    """No action has this name."""

    code = "unknown_action"
    default_hint = "list the actions first"


class BadArgumentsError(UsageError):
    """An argument of an action that is missing, unknown, or of the wrong type."""

    code = "bad_arguments"
    default_hint = "see the input schema of the action"


class PlanNeededError(RefusedError):
    """An action that overwrites or deletes was asked for without the plan that says what it would do."""

    code = "plan_needed"
    default_hint = "ask for the plan first, look at it, and give its plan_id"


class ForbiddenActionError(RefusedError):
    """An action that the settings do not allow agents to take."""

    code = "forbidden_action"
    default_hint = "a person can do it with `chrono`, or change `agent_actions` and `agent_forbidden` in the settings"


class ForeignAddressError(RefusedError):
    """A server for agents was to be reachable from other machines."""

    code = "foreign_address"
    default_hint = "use 127.0.0.1, [::1] or localhost; from another machine come through `ssh -L`"
