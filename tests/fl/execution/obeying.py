"""What test processes of a pool do; they start fast, for this imports no library."""

import os
import time
from pathlib import Path


def obey(connection, _):
    """Do what an order says: wait for a file, die, or say who one is."""
    while (order := connection.recv_bytes()) != b"":
        what, _, rest = order.decode().partition(" ")
        if what == "die":
            os._exit(1)
        if what == "wait":
            Path(f"{rest}.begun").touch()
            while not Path(rest).exists():
                time.sleep(0.005)
        if what == "large":
            connection.send_bytes(bytes(10_000_000))
            continue
        connection.send_bytes(f"{what} {os.getpid()}".encode())


def ask(client, order, **options):
    return client.submit(order.encode(), **{"recipe": "a", "flop": 0, **options})


def wait_for(client, file):
    assert client.result(ask(client, f"wait {file}"))
