"""The only SQL: two engines, one set of statements, one store per noun."""
