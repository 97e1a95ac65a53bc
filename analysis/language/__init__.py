"""The expression language of conditions: the subset of expr-lang that deals with numbers, text and lists.

Decided here: syntax (`grammar.lark`, `parser`), the syntax tree (`syntax`), the meaning of every operator
(`operators`), function (`functions`) and closure (`closures`), and what an evaluation may cost (`values`).
Not decided here: what a condition means for a measurement (`analysis.condition`, the only caller).
Nothing in here reaches Python: names are looked up in tables, members in maps only.
"""
