"""Templates that mean harm: name → (template, the code of the error that stops it).

The first eight are those that acceptance tries; `tests/test_hostile_templates.py` has them all.
"""

ACCEPTANCE = {
    "endless loop": (
        "{% set l = [1] %}{% for x in l %}{% if l.append(x) %}{% endif %}{% endfor %} ||| b",
        "too_slow",
    ),
    "huge range": ("{% for x in range(10**9) %}{% endfor %}a ||| b", "too_large"),
    "huge product": ("{{ 'x' * 10**10 }} ||| b", "too_large"),
    "attribute escape": ("{{ ''.__class__.__mro__[1].__subclasses__() }} ||| b", "forbidden"),
    "format width": ("{{ '{:>2000000000}'.format(1) }} ||| b", "too_wide"),
    "recursion": ("{% macro m() %}{{ m() }}{% endmacro %}{{ m() }} ||| b", "recursion"),
    "huge output": ("{% for x in range(100000) %}{{ 'x' * 1000 }}{% endfor %} ||| b", "too_long_output"),
    "no such filter": ("{{ text | no_such_filter }} ||| b", "unknown_filter"),
}

BOMB = "{% set ns = namespace(b=[]) %}{% for i in range(40) %}{% set ns.b = [ns.b, ns.b] %}{% endfor %}"
DICT_BOMB = "{% set ns = namespace(b={}) %}{% for i in range(40) %}{% set ns.b = {'a': ns.b, 'b': ns.b} %}{% endfor %}"
GROWING = "{% set ns = namespace(s='x') %}{% for i in range(60) %}"
R = "{% for x in range(100000) %}"

MORE = {
    # time
    "nested loops": (R * 3 + "{% endfor %}" * 3, "too_slow"),
    "namespace loop": (
        "{% set ns = namespace(n=0) %}" + R * 2 + "{% set ns.n = ns.n + 1 %}" + "{% endfor %}" * 2,
        "too_slow",
    ),
    "endless dict": (
        "{% set d = {} %}" + R * 2 + "{% if d.update({x: d}) %}{% endif %}" + "{% endfor %}" * 2,
        "too_slow",
    ),
    "sum of lists, all in C": ("{{ ([[1, 2, 3]] * 500000) | sum(start=[]) | length }}", "too_slow"),
    "membership, all in C": (
        "{% set l = [1.5] * 2000000 %}" + R + "{% if x in l %}{% endif %}{% endfor %}",
        "too_slow",
    ),
    "count in long texts": (R + "{% if ('ab' * 1000000).count('b') %}{% endif %}{% endfor %}", "too_slow"),
    "equality of bombs": (BOMB + "{% set first = ns.b %}" + BOMB + "{{ first == ns.b }}", "too_slow"),
    "division of huge numbers": (
        "{% set a = ('x' * 1000000).encode() %}{% set i = 0 .from_bytes(a, 'big') %}"
        "{% set j = 0 .from_bytes(a[:500000], 'big') %}{{ (i // j) is even }}",
        "too_slow",
    ),
    "a macro that doubles": (
        "".join(f"{{% macro m{i}() %}}{{{{ m{i + 1}() }}}}{{{{ m{i + 1}() }}}}{{% endmacro %}}" for i in range(40))
        + "{% macro m40() %}{% endmacro %}{{ m0() }}",
        "too_slow",
    ),
    # size of one operation
    "printf width": ("{{ '%999999999d' % 1 }}", "too_wide"),
    "printf width from a value": ("{{ '%*d' % (999999999, 1) }}", "too_wide"),
    "printf precision": ("{{ '%.999999999f' % 1.5 }}", "too_wide"),
    "format filter": ("{{ '%999999999d' | format(1) }}", "too_wide"),
    "format filter by map": ("{{ ['%999999999d'] | map('format', 1) | list }}", "too_wide"),
    "format with a width inside": ("{{ '{:{w}}'.format(1, w=999999999) }}", "too_wide"),
    "format_map": ("{{ '{a:999999999}'.format_map({'a': 1}) }}", "too_wide"),
    "format by subscript": ("{{ ''['format'] and '{:999999999}'['format'](1) }}", "too_wide"),
    "center": ("{{ 'x'.center(10**9) }}", "too_wide"),
    "center filter": ("{{ 'x' | center(10**9) }}", "too_wide"),
    "center filter by map": ("{{ ['x'] | map('center', 10**9) | list }}", "too_wide"),
    "ljust": ("{{ 'x'.ljust(10**9) }}", "too_wide"),
    "rjust": ("{{ 'x'.rjust(10**9) }}", "too_wide"),
    "zfill": ("{{ 'x'.zfill(10**9) }}", "too_wide"),
    "expandtabs": ("{{ '\\t'.expandtabs(10**9) }}", "too_wide"),
    "method kept in a variable": ("{% set f = 'x'.ljust %}{{ f(10**9) }}", "too_wide"),
    "to_bytes": ("{{ 1 .to_bytes(10**9, 'big') }}", "too_wide"),
    "indent": ("{{ 'a\\nb' | indent(10**9) }}", "too_wide"),
    "batch": ("{{ [1] | batch(10**9, 0) | list }}", "too_wide"),
    "slice": ("{{ [1] | slice(10**9) | list }}", "too_wide"),
    "tojson indent": ("{{ [1] | tojson(indent=10**9) }}", "too_wide"),
    "list product": ("{{ ([0] * 10**9) | length }}", "too_large"),
    "product from the left": ("{{ 10**9 * 'x' }}", "too_large"),
    "power": ("{{ 9 ** (9 ** 9) }}", "too_big_number"),
    "squaring in a loop": (
        "{% set ns = namespace(n=3) %}" + R + "{% set ns.n = ns.n * ns.n %}{% endfor %}{{ ns.n }}",
        "too_big_number",
    ),
    "doubling by +": (GROWING + "{% set ns.s = ns.s + ns.s %}{% endfor %}{{ ns.s }}", "too_large"),
    "range with a step": ("{{ range(0, 10**30, 3) | list }}", "too_large"),
    # memory
    "doubling by ~": (GROWING + "{% set ns.s = ns.s ~ ns.s %}{% endfor %}{{ ns.s }}", "too_much_memory"),
    "doubling by join": (GROWING + "{% set ns.s = [ns.s, ns.s] | join %}{% endfor %}", "too_much_memory"),
    "replacing": ("{{ ('x' * 1000000).replace('x', 'x' * 1000000) }}", "too_much_memory"),
    "doubling by a set block": (
        GROWING + "{% set t %}{{ ns.s }}{{ ns.s }}{% endset %}{% set ns.s = t %}{% endfor %}",
        "too_much_memory",
    ),
    "a list that extends itself": (
        "{% set l = [1] %}{% for x in range(100) %}{% if l.extend(l) %}{% endif %}{% endfor %}",
        "too_much_memory",
    ),
    # escapes
    "attribute by name": ("{{ ''['__class__'] }}", "forbidden"),
    "attribute by map": ("{{ [''] | map(attribute='__class__') | list }}", "forbidden"),
    "attribute by sort": ("{{ ['', 'a'] | sort(attribute='__class__') }}", "forbidden"),
    "attribute by selectattr": ("{{ [''] | selectattr('__class__') | list }}", "forbidden"),
    "attribute by groupby": ("{{ [''] | groupby('__class__') }}", "forbidden"),
    "attribute by format": ("{{ '{0.__class__}'.format('') }}", "forbidden"),
    "attribute by a built name": ("{{ ''['__cl' ~ 'ass__'] }}", "forbidden"),
    "attribute that is only tested": ("{% if ''.__class__ is defined %}a{% endif %}", "forbidden"),
    "attr filter": ("{{ '' | attr('__class__') }}", "unknown_filter"),
    "mro": ("{{ dict.mro() }}", "forbidden"),
    "globals of a function": ("{{ range.__globals__ }}", "forbidden"),
    "cycler": ("{{ cycler.__init__.__globals__ }}", "forbidden"),
    "joiner": ("{{ joiner(', ').__class__ }}", "forbidden"),
    "self": ("{{ self._TemplateReference__context }}", "forbidden"),
    "frame of a generator": ("{{ ([1] | map('string')).gi_frame }}", "forbidden"),
    "loop": ("{% for x in [1] %}{{ loop._iterator }}{% endfor %}", "forbidden"),
    "undefined": ("{{ nothing.__class__ }}", "forbidden"),
    "lipsum": ("{{ lipsum(n=1000) }}", "undefined"),
    "include": ("{% include '/etc/passwd' %}", "forbidden"),
    "import": ("{% import 'os' as os %}", "forbidden"),
    "from import": ("{% from 'os' import path %}", "forbidden"),
    "extends": ("{% extends 'base.html' %}", "forbidden"),
    # recursion and nesting
    "recursive loop": ("{% for x in [1] recursive %}{{ loop([1]) }}{% endfor %}", "recursion"),
    "block that shows itself": ("{% block a %}{{ self.a() }}{% endblock %}", "recursion"),
    "list that holds itself": ("{% set l = [] %}{% if l.append(l) %}{% endif %}{{ l | tojson }}", "failed"),
    "deep list": (
        "{% set ns = namespace(l=[]) %}{% for x in range(5000) %}{% set ns.l = [ns.l] %}{% endfor %}{{ ns.l }}",
        "recursion",
    ),
    "deep list as JSON": (
        "{% set ns = namespace(l=[]) %}{% for x in range(5000) %}{% set ns.l = [ns.l] %}{% endfor %}{{ ns.l | tojson }}",
        "recursion",
    ),
    "deep parentheses": ("{{ " + "(" * 20000 + "1" + ")" * 20000 + " }}", "recursion"),
    "deep lists in the source": ("{{ " + "[" * 150 + "x" + "]" * 150 + " }}", "recursion"),
    "long sum": ("{{ " + " + ".join(["x"] * 3000) + " }}", "recursion"),
    "long chain of attributes": ("{{ x" + ".a" * 2000 + " }}", "recursion"),
    "deep ifs": ("{% if x %}" * 3000 + "{% endif %}" * 3000, "recursion"),
    "nested loops beyond what Python compiles": ("{% for x in y %}" * 30 + "{% endfor %}" * 30, "recursion"),
    # the filters for running text
    "sentences of a bomb": (BOMB + "{{ ns.b | sentences | length }}", "too_slow"),
    "sentences in a loop": (R + "{% if ('a. ' * 60000) | sentences %}{% endif %}{% endfor %}", "too_slow"),
    "masks that grow": (
        GROWING + "{% set ns.s = ('A b. C d.' | mask_sentence(ns.s ~ ns.s)).text %}{% endfor %}",
        "too_much_memory",
    ),
    "the frame of a filter": ("{{ (text | mask_sentence).__class__ }}", "forbidden"),
    # output, unknown names, text that is none
    "one long text": ("{{ 'x' * 1000001 }} ||| b", "too_long_output"),
    "bomb as text": (DICT_BOMB + "{{ ns.b }}", "too_slow"),
    "bomb as JSON": (BOMB + "{{ ns.b | tojson }}", "too_slow"),
    "no such test": ("{% if text is no_such_test %}{% endif %}", "unknown_test"),
    "no such filter, by name": ("{{ [1] | map('no_such_filter') | list }}", "unknown_filter"),
    "no such test, by name": ("{{ [1] | select('no_such_test') | list }}", "unknown_test"),
    "pprint": ("{{ text | pprint }}", "unknown_filter"),
    "urlize": ("{{ ('www.' * 100000) | urlize }}", "unknown_filter"),
    "half a surrogate pair": ("{{ '\\ud800' }} ||| b", "not_text"),
    "long source": ("x" * 100001, "too_long_source"),
    "syntax": ("a\n{% if %}", "syntax"),
    # while it is compiled: Jinja works out constants then
    "constants that multiply": (
        "{{ 'xxxxxxxx'" + " | list | join(',xxxxxxxx')" * 6 + " | list | join" * 40 + " }}",
        "too_slow",
    ),
}

TEMPLATES = ACCEPTANCE | MORE
