"""A phone with an authenticator app, for tests over HTTP."""

from palaver.domain import otp
from tests.cast import PASSWORD
from tests.http import MovableClock, Visitor

PATH = "/api/palaver/account/second-factor"


class Authenticator:
    """Shows codes, each of them once: time moves on to the next."""

    def __init__(self, secret: str, clock: MovableClock) -> None:
        self.secret = secret
        self.clock = clock
        self.recovery_codes: list[str] = []

    def code(self) -> str:
        """Return what it shows now."""
        return otp.code_of(self.secret, otp.step_at(self.clock()))

    def next_code(self) -> str:
        """Return what it shows next, once it does."""
        self.clock.move(seconds=otp.PERIOD_SECONDS)
        return self.code()


async def enrolled(visitor: Visitor, clock: MovableClock) -> Authenticator:
    """Set up a second factor for somebody who has signed in."""
    answer = await visitor.post(PATH, {"password": PASSWORD})
    assert answer.status == 201, answer
    phone = Authenticator(answer.json["secret"], clock)
    answer = await visitor.post(f"{PATH}/confirm", {"code": phone.code()})
    assert answer.status == 200, answer
    phone.recovery_codes = answer.json["recovery_codes"]
    return phone
