"""The sections of a report. A section is one module, and says one thing.

    NAMEView                        what of the view it shows: a TypedDict of plain JSON data
    view(...)                       makes what it adds to the view; absent where it shows what is there already
    text(terminal, view)            prints it to a terminal
    templates/sections/NAME.html    prints it on a page, where a page has it

All that is computed is computed in `view`; `text` and the template only word it (`forbear.wording`). A sentence is a
remark: a code and values beside its text. Names are in a view as they came; who prints them makes them inert. A section
imports nothing that prints: JSON does not wait for that.

To add one to the report of a decision: the module, its key in `report/view.py`, its line in `report/text.py`.
"""
