"""The front page: what runs here, what is still to be done, and where to read on."""

from html import escape

from starlette.responses import Response

from palaver.domain.users import SYSTEM
from palaver.ui.docs import contracts
from palaver.web.call import Call
from palaver.web.endpoint import Dialect
from palaver.web.html import page

_MAIN = """\
<main class="page">
<header>
<h1>Palaver is running</h1>
<p class="lead">One server, one store, several API contracts. A client that was written for any of
them works here, and all of them see the same conversations.</p>
</header>
{setup}<section class="section" aria-labelledby="contracts">
<h2 id="contracts">Contracts</h2>
<ul class="list">
{contracts}
</ul>
</section>
</main>
<footer class="foot">Palaver {version}</footer>"""

_SETUP = """\
<section class="card" aria-labelledby="setup">
<h2 id="setup">There is no administrator yet</h2>
<p>When the server started, it printed a link that works once. Open that link, or enter the token
at its end here.</p>
<div class="actions"><a class="button" href="/app/setup">Set up</a></div>
</section>
"""

_SETUP_BY_SETTING = """\
<section class="card" aria-labelledby="setup">
<h2 id="setup">There is no administrator yet</h2>
<p><code>PALAVER_BOOTSTRAP_TOKEN</code> is empty, so nobody can become one here. Unset it or give it
a value, and start the server again.</p>
</section>
"""


async def show(call: Call) -> Response:
    """Show the front page. No contract: ours."""
    setup = ""
    registrations = call.services.registrations
    if not await registrations.has_administrator(SYSTEM):
        setup = _SETUP if registrations.policy.bootstrap_token else _SETUP_BY_SETTING
    rows = [
        f'<li><a href="/docs/{dialect.name}"><strong>{escape(dialect.title)}</strong>'
        f"<span>{_in_short(dialect)}</span></a></li>"
        for dialect in contracts(call)
    ]
    return page(
        "",
        _MAIN.format(setup=setup, contracts="\n".join(rows), version=escape(call.settings.version)),
    )


def _in_short(dialect: Dialect) -> str:
    routes = sum(endpoint.is_documented for endpoint in dialect.endpoints)
    way = "session cookie" if dialect.signs_in_by == "cookie" else "bearer token"
    return f"{routes} {'route' if routes == 1 else 'routes'}, signs in by {way}"
