"""MCP, the protocol by which assistants use tools: an extra, since its packages bind others to older versions."""

from importlib.metadata import PackageNotFoundError, requires, version

from packaging.requirements import Requirement

from editworld_core.errors import EditWorldError


def check_mcp() -> None:
    """Refuse to serve MCP without the packages that Gradio's extra of that name asks for.

    Raises:
        EditWorldError: one is not installed, or not in a version that will do.
    """
    for asked in map(Requirement, requires("gradio") or ()):
        if (
            asked.marker is None
            or not asked.marker.evaluate({"extra": "mcp"})
            or asked.marker.evaluate({"extra": ""})
        ):
            continue
        try:
            found = version(asked.name)
        except PackageNotFoundError:
            found = ""
        if not found or not asked.specifier.contains(found, prereleases=True):
            there = f"{asked.name} {found} is installed" if found else f"{asked.name} is not installed"
            raise EditWorldError(
                f"MCP needs {asked.name}{asked.specifier}, and {there}: run 'pip install \"gradio[mcp]\"', "
                "or leave out --mcp and EDITWORLD_MCP."
            )
