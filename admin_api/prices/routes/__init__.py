"""The routes of prices: of customers, of ours, in drafts, imported."""
