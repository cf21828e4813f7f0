"""Cross-property transfer: which way of using an encoder serves a property best. See docs/transfer.md."""
