"""The command ``bland-sandbox``."""

from __future__ import annotations

import argparse
import asyncio
import logging
import os
import sys
from collections.abc import Sequence

from airflow_provider_bland.sandbox.model.settings import Settings
from airflow_provider_bland.sandbox.server import UvicornServer, bound_socket, url_of
from airflow_provider_bland.sandbox.world.keys import Keys
from airflow_provider_bland.sandbox.world.sandbox import Sandbox


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="bland-sandbox", description="A local simulation of Bland's API: calls run, but no phone rings."
    )
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on (default: %(default)s)")
    parser.add_argument("--port", type=_port, default=8700, help="port; 0 picks a free one (default: %(default)s)")
    parser.add_argument("--speed", type=float, default=1.0, help="how many times faster than life calls run")
    parser.add_argument("--seed", type=int, default=0, help="decides what chance decides (default: %(default)s)")
    parser.add_argument(
        "--api-key",
        default=os.environ.get("BLAND_API_KEY") or "sandbox-key",
        help="the key clients must send (default: $BLAND_API_KEY, else sandbox-key)",
    )
    parser.add_argument("--db", metavar="FILE", help="keep the state in this SQLite file (default: memory)")
    parser.add_argument("--webhook-secret", default="sandbox-webhook-secret", help="signs webhooks; empty: unsigned")
    parser.add_argument(
        "--allow-http-webhooks", action="store_true", help="let http://127.0.0.1 and http://localhost pass as webhooks"
    )
    parser.add_argument(
        "--allow-host",
        action="append",
        default=[],
        metavar="NAME",
        help="a name of this machine under which clients may ask, besides localhost and addresses; may be repeated",
    )
    parser.add_argument("--clock-skew", type=float, default=0.0, metavar="SECONDS", help="Bland's clock minus ours")
    parser.add_argument("--list-lag", type=float, default=0.0, metavar="SECONDS", help="how late the list of calls is")
    return parser


def _port(text: str) -> int:
    value = int(text)
    if not 0 <= value <= 65_535:
        raise argparse.ArgumentTypeError("must be from 0 to 65535")
    return value


def main(arguments: Sequence[str] | None = None) -> int:
    """
    Run the sandbox until it is told to stop.

    :param arguments: the command line; by default the process's.
    :return: the exit code.
    """
    parser = _parser()
    options = parser.parse_args(arguments)
    logging.basicConfig(stream=sys.stderr, level=logging.INFO, format="%(asctime)s %(message)s")
    try:
        settings = Settings(
            speed=options.speed,
            seed=options.seed,
            clock_skew=options.clock_skew,
            list_lag=options.list_lag,
            webhook_secret=options.webhook_secret,
            allow_http_webhooks=options.allow_http_webhooks,
        )
        keys = Keys(options.api_key)
    except ValueError as problem:
        parser.error(str(problem))
    try:
        listening = bound_socket(options.host, options.port)
    except (OSError, UnicodeError) as problem:
        sys.stderr.write(f"bland-sandbox: cannot listen on {options.host}:{options.port}: {problem}\n")
        return 1
    try:
        sandbox = Sandbox(settings, keys=keys, db=options.db, hosts=options.allow_host)
    except ValueError as problem:
        listening.close()
        sys.stderr.write(f"bland-sandbox: {problem}\n")
        return 1
    sandbox.url = url_of(listening)

    def ready() -> None:
        sys.stdout.write(f"Bland sandbox listening on {sandbox.url}\n")
        sys.stdout.flush()
        sys.stderr.write(
            f"No phone rings here. Magic numbers: {sandbox.url}/sandbox/numbers - rings so far: "
            f"{sandbox.url}/sandbox/rings\n"
        )
        sys.stderr.flush()

    server = UvicornServer(sandbox, ready)
    try:
        asyncio.run(server.serve(sockets=[listening]))
    except KeyboardInterrupt:
        pass  # Ctrl-C; uvicorn has shut down before it raises the signal again
    finally:
        listening.close()
        sandbox.close()
    return 0


if __name__ == "__main__":
    sys.exit(main())
