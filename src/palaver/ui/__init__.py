"""The HTML pages that Palaver serves, and how it words what belongs to no contract."""

from typing import Final

from palaver.ui.errors import render_error
from palaver.ui.routes import ENDPOINTS
from palaver.web.endpoint import Dialect

PAGES: Final = Dialect(
    name="pages",
    title="Pages",
    endpoints=ENDPOINTS,
    render_error=render_error,
    signs_in_by="cookie",
)
