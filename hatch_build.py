"""hatchling's build hook: a built wheel carries GraphiQL's files, which the repository does not."""

import runpy
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface


class GraphiQLFiles(BuildHookInterface):  # type: ignore[type-arg]  # its parameter is the builder's configuration
    """Fetches the files before the wheel is packed."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:  # noqa: ARG002 - hatchling passes it
        """Fetch the files; hatchling calls this before each build.

        Args:
            version: `standard`, or `editable`, which serves the files of the checkout: `make` fetches those.
            build_data: what the build may still change; unused.
        """
        if version == "editable":
            return
        # By path: in an isolated build neither the gateway nor its dependencies can be imported.
        assets = runpy.run_path(str(Path(self.root, "gateway", "graphql", "ide", "assets.py")))
        try:
            assets["install"]()
        except assets["AssetsUnavailable"] as error:
            self.app.display_warning(f"This wheel has no GraphiQL. {error}")
