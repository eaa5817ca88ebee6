"""The chapters "Account" and "Second factor"."""

from palaver.dialects.native import account_wire as wire
from palaver.web.answers import clear_session_cookies
from palaver.web.call import Call


async def get(call: Call) -> wire.Account:
    """Get one's own account. Contract: "Get Account"."""
    return wire.Account.of(await call.services.accounts.me(call.actor), call.actor)


async def change_password(call: Call, body: wire.PasswordChange) -> None:
    """Change one's own password; all other sessions end. Contract: "Change Password"."""
    await call.services.accounts.change_password(
        call.actor, current_password=body.current, new_password=body.new, otp=body.otp
    )


async def delete(call: Call, body: wire.Proof) -> None:
    """Delete one's own account, with all that it holds. Contract: "Delete Account"."""
    await call.services.accounts.delete_own(call.actor, password=body.password, otp=body.otp)
    clear_session_cookies(call)


async def get_second_factor(call: Call) -> wire.SecondFactor:
    """Tell whether signing in takes a one-time code. Contract: "Get Second Factor"."""
    return wire.SecondFactor.of(await call.services.second_factor.status(call.actor))


async def enrol(call: Call, body: wire.Password) -> wire.Enrolment:
    """Get a secret for an authenticator app. Contract: "Begin Second Factor"."""
    begun = await call.services.second_factor.enrol(call.actor, password=body.password)
    return wire.Enrolment(begun.secret, begun.otpauth_uri)


async def confirm(call: Call, body: wire.Confirmation) -> wire.RecoveryCodes:
    """Let it count, by a first code of the app. Contract: "Confirm Second Factor"."""
    codes = await call.services.second_factor.confirm(call.actor, code=body.code)
    return wire.RecoveryCodes(codes)


async def renew_codes(call: Call, body: wire.Proof) -> wire.RecoveryCodes:
    """Get new recovery codes in place of the old ones. Contract: "Renew Recovery Codes"."""
    codes = await call.services.second_factor.renew_codes(
        call.actor, password=body.password, code=body.otp
    )
    return wire.RecoveryCodes(codes)


async def disable(call: Call, body: wire.Proof) -> None:
    """Sign in by the password alone from now on. Contract: "Remove Second Factor"."""
    await call.services.second_factor.disable(call.actor, password=body.password, code=body.otp)
