"""Every URL that answers with a page, or with what a page needs."""

from functools import partial
from typing import Final

from palaver.ui import docs, files, metrics, reset, second_factor, setup
from palaver.web.endpoint import Access, Endpoint
from palaver.web.forms import FORM_MAX_BYTES

PUBLIC: Final = Access.PUBLIC

_own = partial(
    Endpoint, no_keys=True, lets_enrol=True, render_error=second_factor.render_page_error
)

ENDPOINTS: Final = (
    # The first administrator
    Endpoint("GET", "/app/setup", setup.show, PUBLIC),
    Endpoint("POST", "/app/setup", setup.submit, PUBLIC, takes_form=True, max_bytes=FORM_MAX_BYTES),
    # A new password
    Endpoint("GET", "/app/reset", reset.show, PUBLIC),
    Endpoint("POST", "/app/reset", reset.submit, PUBLIC, takes_form=True, max_bytes=FORM_MAX_BYTES),
    # The second factor
    _own("GET", "/app/second-factor", second_factor.show),
    _own(
        "POST",
        "/app/second-factor",
        second_factor.submit,
        takes_form=True,
        max_bytes=FORM_MAX_BYTES,
    ),
    # The contracts' documentation
    Endpoint("GET", "/docs", docs.show_first, PUBLIC),
    Endpoint("GET", "/docs/{contract}", docs.show, PUBLIC),
    Endpoint("GET", "/openapi/{file}", docs.document_file, PUBLIC),
    # Numbers
    Endpoint("GET", "/metrics", metrics.show, Access.ADMIN, is_for_monitors=True),
    # Styles, scripts, pictures
    Endpoint("GET", "/app/files/{name}", files.get, PUBLIC),
)
