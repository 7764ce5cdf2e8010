"""`python -m photopipe_dagster` is `photopipe`."""

from photopipe_dagster.cli import main

if __name__ == "__main__":
    main()
