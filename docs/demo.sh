#!/bin/sh
# The main job on a real repository: checkpoint, break things, look at the plan, restore, undo.
set -eu
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
say() { printf '\n\033[1m$ %s\033[0m\n' "$*"; }
run() { say "$*"; "$@"; }

git init -q -b main shop
cd shop
git config user.name demo
git config user.email demo@example.invalid
printf 'def total(prices):\n    return sum(prices)\n' > shop.py
printf 'CREATE TABLE orders (id INTEGER);\n' > schema.sql
git add -A
git commit -q -m "a small shop"

printf '\ndef tax(price):\n    return price * 0.2\n' >> shop.py
printf 'remember the refund case\n' > notes.txt
git add notes.txt
before=$(git status --porcelain; cat shop.py notes.txt schema.sql)

run chrono checkpoint create before_migration -d "all is well"
say "an agent breaks things: rm schema.sql; garbage in shop.py; a stray file; git add -A"
rm schema.sql
echo 'garbage' > shop.py
echo 'oops' > stray.txt
git add -A

run chrono status
run chrono checkpoint diff before_migration --stat
run chrono checkpoint restore before_migration --plan
run chrono checkpoint restore before_migration --yes
after=$(git status --porcelain; cat shop.py notes.txt schema.sql)
if [ "$before" != "$after" ]; then
  echo "the restore did not bring everything back" >&2
  exit 1
fi
run chrono undo --yes
grep -q garbage shop.py
run chrono redo --yes
run chrono log
run chrono verify
printf '\nEverything came back: content, staged state, deletions. Nothing was lost on the way.\n'
