"""Cross-property transfer: how an encoder serves a property best. See docs/science/transfer.md."""
