"""The package for browsers: a typed client of the GraphQL API, and elements that sell plans and show accounts.

`src/` is plain JavaScript with types in JSDoc: it is served as it is, published at npm, and needs no build.
"""

from pathlib import Path
from typing import Final

THEME: Final = Path(__file__).parent / "theme.css"
"""What the pages of the shop and of the console share."""
