"""Questions with given paragraphs: ReAct's three actions over them, or one answer; see docs/questions.md."""
