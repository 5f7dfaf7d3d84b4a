"""Text games of a household: the rules of ALFWorld in plain Python, real games and generated ones.

pddl         problems as text              world, goal   a problem turned into tables and a test
games        files of real games           engine        commands in, sentences out
request      what a task's sentence asks   environment   the same as the runner plays it
generator    tasks from a seed             tables        what is usually where
search       sees everything, wins         expert        sees what it has read, searches
"""
