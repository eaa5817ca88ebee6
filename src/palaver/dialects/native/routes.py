"""Every URL of the `native` contract, in the order of its document."""

from typing import Final

from palaver.dialects.native import search
from palaver.web.endpoint import Endpoint

ENDPOINTS: Final = (
    # Search
    Endpoint("GET", "/api/palaver/search", search.search),
)
