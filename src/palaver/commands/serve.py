"""`palaver serve`."""

import argparse
import os

from palaver import main
from palaver.commands.logs import set_up_logs
from palaver.config import load


async def serve(_: argparse.Namespace) -> int:
    """Serve until told to stop."""
    settings = load()
    os.umask(0o077)  # the database holds what people wrote: it is for this user alone
    set_up_logs(settings.log_level, settings.log_format)
    await main.serve(settings, say=lambda line: print(line, flush=True))
    return 0
