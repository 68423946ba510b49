"""The `gateway` command, also as `python -m gateway`."""

import gc

gc.disable()  # until `main`: nothing that is imported is garbage, and looking for some takes a fifth of the start

from gateway.cli.main import main  # noqa: E402

if __name__ == "__main__":
    main()
