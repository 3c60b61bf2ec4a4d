"""`python -m everstep_agent`: the command of a worker's container."""

import sys

from everstep_agent.main import main

if __name__ == "__main__":
    sys.exit(main())
