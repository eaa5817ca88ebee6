"""Which function runs which command."""

import argparse
from collections.abc import Awaitable, Callable
from typing import Final

from palaver.commands.doctor import doctor
from palaver.commands.migrate import migrate
from palaver.commands.model import model
from palaver.commands.plan import plan
from palaver.commands.routes import routes
from palaver.commands.serve import serve
from palaver.commands.usage import usage
from palaver.commands.user import user
from palaver.commands.webhook import webhook

COMMANDS: Final[dict[str, Callable[[argparse.Namespace], Awaitable[int]]]] = {
    "doctor": doctor,
    "migrate": migrate,
    "model": model,
    "plan": plan,
    "routes": routes,
    "serve": serve,
    "usage": usage,
    "user": user,
    "webhook": webhook,
}
