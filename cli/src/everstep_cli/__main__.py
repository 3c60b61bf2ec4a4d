"""`python -m everstep_cli`, the same as `everstep`."""

from everstep_cli.app import main

if __name__ == "__main__":
    main()
