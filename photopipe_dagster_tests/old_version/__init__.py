"""Real data of an earlier version, made by its own code out of this repository's history.

`build` runs in the tests' process and takes the code out of the history; `populate` is run by that
code and knows its modules alone, so it stays as it is however the package is rearranged; `daemon`
and `addresses`, which both sides use, know no module of the package.
"""
