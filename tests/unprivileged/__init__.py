"""Fresh ordinary users, and running parts of the tests as one of them."""
