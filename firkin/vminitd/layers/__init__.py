"""OCI layers and the templates that are made of them."""
