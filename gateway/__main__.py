"""The `gateway` command, also as `python -m gateway`."""

import gc

gc.disable()  # while a command is imported: looking for garbage, of which there is none, takes a seventh of the start

from gateway.cli.main import main  # noqa: E402

if __name__ == "__main__":
    main()
