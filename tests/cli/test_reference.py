"""`docs/cli.md` and `docs/errors.md` say what the code says."""

from __future__ import annotations

from chronos import errors
from chronos.cli.reference import cli_reference, error_reference
from tests.cli.conftest import PROJECT


def test_the_command_line_reference_is_up_to_date() -> None:
    written = (PROJECT / "docs/cli.md").read_text("utf-8")
    assert written == cli_reference(), "run `python -m chronos.cli.reference`"


def test_the_error_reference_is_up_to_date() -> None:
    written = (PROJECT / "docs/errors.md").read_text("utf-8")
    assert written == error_reference(), "run `python -m chronos.cli.reference`"


def test_every_error_has_its_own_code() -> None:
    classes = [found for found in vars(errors).values() if isinstance(found, type) and issubclass(found, Exception)]
    assert len({found.code for found in classes}) == len(classes)
