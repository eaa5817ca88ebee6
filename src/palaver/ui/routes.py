"""Every URL that answers with a page, or with what a page needs."""

from typing import Final

from palaver.ui import docs, files, setup
from palaver.web.endpoint import Access, Endpoint
from palaver.web.forms import FORM_MAX_BYTES

PUBLIC: Final = Access.PUBLIC

ENDPOINTS: Final = (
    # The first administrator
    Endpoint("GET", "/app/setup", setup.show, PUBLIC),
    Endpoint("POST", "/app/setup", setup.submit, PUBLIC, takes_form=True, max_bytes=FORM_MAX_BYTES),
    # The contracts' documentation
    Endpoint("GET", "/docs", docs.show_first, PUBLIC),
    Endpoint("GET", "/docs/{contract}", docs.show, PUBLIC),
    Endpoint("GET", "/openapi/{file}", docs.document_file, PUBLIC),
    # Styles, scripts, pictures
    Endpoint("GET", "/app/files/{name}", files.get, PUBLIC),
)
