"""One call of a tool in a thread that works: whatever happens, a result comes back, and never a traceback."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any

from chronos.errors import ChronosError, RefusedError, StorageError, UsageError
from chronos.files import display
from skills.actions import ActionSession, find_action, to_document
from skills.errors import ForbiddenActionError
from skills.mcp_server.documents import Document, error_document, result_document

_LOG = logging.getLogger("chronomancer.mcp")


class Caller:
    """Does calls. What the settings allow when the first one comes holds until the server ends.

    So an agent that can write the project's settings gets no more of this server by it.
    """

    def __init__(self) -> None:
        self._allowed: frozenset[str] | None = None

    def list_tools(self, session: ActionSession) -> frozenset[str]:
        """Return the names of what is allowed. Raises ChronosError when there is no project."""
        if self._allowed is None:
            self._allowed = frozenset(one.name for one in session.list_actions())
        return self._allowed

    def read(self, session: ActionSession, name: str, arguments: Mapping[str, Any]) -> tuple[Document, list[str]]:
        """Return what came of an action, and notices. Raises ChronosError, for whatever went wrong."""
        try:
            return self._read(session, name, arguments)
        except (UsageError, RefusedError):
            raise
        except ChronosError:
            session.close()  # what is open may be what is wrong
            raise
        except OSError as cause:
            session.close()
            raise StorageError(f"{cause.strerror or cause}: {display(str(cause.filename or 'a file'))}") from cause
        except Exception as cause:  # the outermost door of this interface
            session.close()
            _LOG.exception("%s failed unexpectedly", name)
            raise ChronosError(
                f"{name[:60]} failed unexpectedly ({type(cause).__name__})",
                hint="call `status` to see where things stand; the server's standard error has the details",
            ) from cause

    def call(self, session: ActionSession, name: str, arguments: Mapping[str, Any]) -> Document:
        """Do an action and return the result of the call."""
        try:
            return result_document(name, *self.read(session, name, arguments))
        except ChronosError as error:
            return error_document(error)

    def _read(self, session: ActionSession, name: str, arguments: Mapping[str, Any]) -> tuple[Document, list[str]]:
        if find_action(name).name not in self.list_tools(session):
            raise ForbiddenActionError(f"the settings of this project keep agents from {name}")
        return to_document(session.call(name, arguments)), session.take_notices()
