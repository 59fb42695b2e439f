"""For authors of adapters: the contract tests of every port, faults on purpose, and a check of guest agents.

As a pytest plugin (`pytest_plugins = ["firkin.testkit"]` in a conftest.py; it needs `pip install firkin[test]`) it runs
a port's contract tests over any adapter that a test module names:

    firkin_vmm = MyVmm

`docs/testkit.md` lists the names. `firkin.testkit.faults` needs no pytest.
"""

pytest_plugins = ["firkin.testkit.plugin"]
