"""`python -m drocl` is `drocl`."""

from drocl.cli import main

if __name__ == "__main__":
    main()
