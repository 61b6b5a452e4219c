"""From files that nobody vouches for to the series of a study.

Headers are walked by bounded code (`part10`, `elements`, `values`), images of all kinds become slices (`headers`,
`enhanced`, `mosaic`), slices become volumes (`stacking`, `timing`), and volumes series (`roles`, `joining`,
`assembly`). Pixels are read when a volume is asked for (`pixels`).
"""
