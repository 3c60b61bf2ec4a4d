"""`python -m everstep_operator`: an operator in a cluster."""

from everstep_operator.main import main

if __name__ == "__main__":
    main()
