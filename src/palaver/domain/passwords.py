"""What a password must be (decisions, "Accounts and signing in")."""

import enum
import string
from typing import Final

from palaver.domain.errors import Fault, FieldFault
from palaver.kit.text import fold

PASSWORD_MIN_LENGTH: Final = 8
PASSWORD_MAX_LENGTH: Final = 1024
STRICT_MIN_LENGTH: Final = 15
"""Without a second factor (NIST SP 800-63B-4, "Password Verifiers")."""

RUN_MIN_LENGTH: Final = 4


class PasswordPolicy(enum.StrEnum):
    """How much is asked of a password."""

    STANDARD = "standard"
    STRICT = "strict"


def password_faults(
    password: str,
    *,
    names: tuple[str | None, ...] = (),
    policy: PasswordPolicy = PasswordPolicy.STANDARD,
    has_second_factor: bool = False,
    field: str = "password",
) -> list[FieldFault]:
    """Say what is wrong with a password for the account that has these names and addresses."""
    path = ("body", field)
    is_strict = policy is PasswordPolicy.STRICT
    shortest = STRICT_MIN_LENGTH if is_strict and not has_second_factor else PASSWORD_MIN_LENGTH
    if len(password) < shortest:
        message = f"This password is too short: use at least {shortest} characters."
        return [FieldFault(path, Fault.TOO_SHORT, message, limit=shortest)]
    if len(password) > PASSWORD_MAX_LENGTH:
        message = f"This password is too long: use at most {PASSWORD_MAX_LENGTH} characters."
        return [FieldFault(path, Fault.TOO_LONG, message, limit=PASSWORD_MAX_LENGTH)]
    if fold(password.strip()) in {fold(name.strip()) for name in names if name}:
        message = "The password must not be the user name or the e-mail address."
        return [FieldFault(path, Fault.NOT_ALLOWED, message)]
    if is_strict and is_common(password):
        message = "This password is among the first that are guessed: choose another one."
        return [FieldFault(path, Fault.NOT_ALLOWED, message)]
    return []


def is_common(password: str) -> bool:
    """Tell whether guessing programs try this early.

    That is: one text over and over, a run along the alphabet or a keyboard, or common words and
    nothing else, whatever digits and signs surround or replace their letters.
    """
    plain = fold(password).replace(" ", "")
    if _repeats(plain) or _is_run(plain):
        return True
    core = plain.strip(_DECORATION)
    letters = "".join(filter(str.isalpha, plain))
    return _is_made_of_words(core.translate(_SUBSTITUTES)) or _is_made_of_words(letters)


def _repeats(text: str) -> bool:
    period = (text + text).find(text, 1)
    return 0 < period <= len(text) // 2


def _is_run(text: str) -> bool:
    return len(text) >= RUN_MIN_LENGTH and any(text in run for run in _RUNS)


def _is_made_of_words(text: str) -> bool:
    if not text:
        return False
    while text:
        for length in range(min(len(text), _LONGEST), 0, -1):
            if text[:length] in _WORDS or _is_run(text[:length]):
                text = text[length:]
                break
        else:
            return False
    return True


_DECORATION: Final = string.digits + string.punctuation
_SUBSTITUTES: Final = str.maketrans("@4301!5$7", "aaeoiisst")

_ROWS: Final = (
    "0123456789" * 3,
    string.ascii_lowercase * 3,
    "qwertyuiopasdfghjklzxcvbnm" * 2,
    "qwertzuiopasdfghjklyxcvbnm" * 2,
    "azertyuiopqsdfghjklmwxcvbn" * 2,
    "1qaz2wsx3edc4rfv5tgb6yhn7ujm8ik9ol0p",
    "qazwsxedcrfvtgbyhnujmikolp",
    "1q2w3e4r5t6y7u8i9o0p",
)
_RUNS: Final = _ROWS + tuple(row[::-1] for row in _ROWS)

# The words that lists of leaked passwords are made of; runs and repetitions are found by rule.
_WORD_LIST: Final = """
    a abcd access account adidas admin administrator adobe alexander amanda america andrea
    andrew angel angels anthony apple arsenal asdf ashley asshole august austin autumn baby
    babygirl bailey banana barcelona baseball basketball batman beautiful biteme blink blue
    boomer brandon buster butterfly carlos changeit changeme charlie cheese chelsea chicken
    chocolate computer cookie corvette cowboys dallas daniel december default demo diamond
    dragon eagles eminem enter family fender ferrari flower football forever freedom friends
    fuck fuckme fuckyou george ginger god golfer google guest guitar hannah harley heather hello
    hockey hottie hunter i iloveyou internet is iwantu jasmine jasper jennifer jessica jesus
    jordan joshua junior justin killer lakers letmein linux liverpool login london love lovely
    loveme loveyou lucky maggie marina martin master matrix matthew me melissa mercedes merlin
    metallica michael michelle monday money monkey monster morgan mother mustang my naruto
    nascar nicole nirvana november october orange palaver pass passphrase passw password
    passwords patrick peanut pepper phoenix please pokemon porsche princess private purple qwert
    qwerty rachel ranger red robert root samantha samsung secret secure security september
    server service shadow silver slipknot snoopy soccer spider spring star starwars steelers
    summer sunday sunshine superman superstar sysadmin system taylor temp temporary tennis test
    tester testing the thomas thunder tigger toor travis trustno trustnoone user username
    victoria welcome whatever william winter wizard yankees you your zaq zxcv
"""
_WORDS: Final = frozenset(_WORD_LIST.split())
_LONGEST: Final = max(map(len, _WORDS))
