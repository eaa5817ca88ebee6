"""OpenID Connect: identity providers by their discovery address. The operator chose them: no gate.

On aiohttp and joserfc, which are here already. Authlib's clients want httpx or requests beside
them, and leave to their caller what most of this is: when keys are fetched, and what is believed.
"""

from palaver.domain.identity_providers import IdentityProvider, IdentityProviderSettings
from palaver.kit.clock import Clock, system_clock
from palaver.outbound.oidc.provider import OpenIDProvider

__all__ = ["OpenIDProvider", "build"]


def build(settings: IdentityProviderSettings, *, clock: Clock = system_clock) -> IdentityProvider:
    """Return the provider that the settings name."""
    return OpenIDProvider(settings, clock=clock)
