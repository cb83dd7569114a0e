"""What tests stand on: a sealed environment, real repositories to work in, and digests to compare them by."""

from tests.support.digests import git_folder_digest, index_digest, store_digest, tree_digest
from tests.support.refusing import refuses
from tests.support.repository import RepoBuilder
from tests.support.roundtrip import assert_state, check_round_trip, kept_paths, receipt_of, wreck
from tests.support.sealing import TripwireError, make_home, sealed_environment, set_tripwires

__all__ = [
    "RepoBuilder",
    "TripwireError",
    "assert_state",
    "check_round_trip",
    "git_folder_digest",
    "index_digest",
    "kept_paths",
    "make_home",
    "receipt_of",
    "refuses",
    "sealed_environment",
    "set_tripwires",
    "store_digest",
    "tree_digest",
    "wreck",
]
