"""The official SDK, in the major that is installed: makes its low-level server say what a Service answers.

All that differs between the majors is here: version 2 renamed the classes of errors, registers handlers by the name of
a method, and has another way to report progress. Documents are turned into the SDK's own types by their wire names,
which are the same in both.
"""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING, Any

from chronos import __version__
from chronos.errors import UnsupportedError
from skills.mcp_server.prompts import INSTRUCTIONS
from skills.mcp_server.service import AnswerError, Service

if TYPE_CHECKING:
    from skills.mcp_server.documents import Document

NAME = "chronomancer"
_INSTALL = "pip install 'chronomancer[mcp]'"
# The names of the SDK's types for each method: of version 1's request, of the parameters, of the result.
_TYPES = {
    "tools/list": ("ListToolsRequest", "PaginatedRequestParams", "ListToolsResult"),
    "tools/call": ("CallToolRequest", "CallToolRequestParams", "CallToolResult"),
    "resources/list": ("ListResourcesRequest", "PaginatedRequestParams", "ListResourcesResult"),
    "resources/templates/list": (
        "ListResourceTemplatesRequest", "PaginatedRequestParams", "ListResourceTemplatesResult",
    ),
    "resources/read": ("ReadResourceRequest", "ReadResourceRequestParams", "ReadResourceResult"),
    "prompts/list": ("ListPromptsRequest", "PaginatedRequestParams", "ListPromptsResult"),
    "prompts/get": ("GetPromptRequest", "GetPromptRequestParams", "GetPromptResult"),
}  # fmt: skip


def find_major() -> int:
    """Return the major version of the SDK. Raises UnsupportedError when it is missing, or one that is not served."""
    try:
        found = version("mcp")
    except PackageNotFoundError as cause:
        raise UnsupportedError("the MCP server needs the package mcp", hint=f"install it with `{_INSTALL}`") from cause
    major, minor = (int(part) for part in (*found.split("."), "0")[:2])
    if not (1, 26) <= (major, minor) < (3, 0):
        raise UnsupportedError(f"mcp {found} is not served, but 1.26 to 2", hint=f"install one with `{_INSTALL}`")
    return major


def make_server(service: Service) -> Any:
    """Return the SDK's low-level server that answers as `service` does."""
    attach = {1: _attach_1, 2: _attach_2}[find_major()]
    from mcp.server.lowlevel import Server

    server: Any = Server(NAME, version=__version__, instructions=INSTRUCTIONS)
    for method in service.methods:
        attach(server, service, method)
    return server


def _attach_1(server: Any, service: Service, method: str) -> None:
    import mcp.types as types
    from mcp.shared.exceptions import McpError

    request_name, _, result_name = _TYPES[method]
    result_type = getattr(types, result_name)

    async def handle(request: Any) -> Any:
        context = server.request_context
        params = _wire(request.params)
        token = _progress_token(params)

        async def report(done: float, total: float) -> None:
            await context.session.send_progress_notification(
                token, done, total, related_request_id=str(context.request_id)
            )

        try:
            found = await service.answer(method, params, report if token is not None else None)
        except AnswerError as error:
            raise McpError(types.ErrorData(code=error.code, message=error.message, data=error.data)) from error
        return types.ServerResult(result_type.model_validate(found))

    server.request_handlers[getattr(types, request_name)] = handle


def _attach_2(server: Any, service: Service, method: str) -> None:
    import mcp.types as types
    from mcp.shared import exceptions

    failure: Any = exceptions.MCPError  # type: ignore[attr-defined]  # the types at hand are those of version 1
    _, params_name, result_name = _TYPES[method]
    result_type = getattr(types, result_name)

    async def handle(context: Any, params: Any) -> Any:
        try:
            # What is reported is dropped where the client has not asked for it.
            found = await service.answer(method, _wire(params), context.session.report_progress)
        except AnswerError as error:
            raise failure(error.code, error.message, error.data) from error
        return result_type.model_validate(found)

    server.add_request_handler(method, getattr(types, params_name), handle)


def _wire(params: Any) -> Document:
    if params is None:
        return {}
    found: Document = params.model_dump(by_alias=True, mode="json")
    return found


def _progress_token(params: Document) -> str | int | None:
    meta = params.get("_meta") or {}
    token: str | int | None = meta.get("progressToken")
    return token
