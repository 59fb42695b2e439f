"""Generated from protos/ by `make wire`; not edited by hand."""
