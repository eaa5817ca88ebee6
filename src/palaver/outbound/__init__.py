"""The other ways out: the gate for addresses that users choose, web search, embedders."""
