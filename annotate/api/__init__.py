"""The REST API of people judging. It calls the same services as the pages."""
