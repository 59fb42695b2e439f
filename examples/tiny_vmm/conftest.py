"""firkin's plug-in for pytest: contract tests, and the matrix of promises."""

pytest_plugins = ["firkin.testkit"]
