"""The tests that users write beside their rules (*.test.yaml)."""
