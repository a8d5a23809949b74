"""Views of examples: pure functions of the examples and of uniform numbers, so that nothing but these decides them."""
