#!/usr/bin/env bash
# learning_order.sh RUN..: the rl step at which each term of a run has made a share of its way, syntax before semantics or not: of the run directories
# of recipes/zoo/rl-struct.toml, which `cohort zoo verify rl-struct` leaves in $COHORT_CACHE/zoo/rl-struct/.
#
# A term's way goes from its mean over the evaluation before the rl stage to that after it (of samples); its course is the mean of its metric over the
# nine steps around each, and the step told is the first at which that lies beyond the share. A line says how far it was, and at which step.
#
#     bash benches/learning_order.sh ~/.cache/cohort/zoo/rl-struct/*/{method,baseline}-?
#     TERMS="valid schema" SHARES="0.5 0.9" bash benches/learning_order.sh RUN
set -euo pipefail
cohort=${COHORT:-${CARGO_TARGET_DIR:-target}/release/cohort}
read -ra terms <<< "${TERMS:-valid struct schema correct all}"
read -ra shares <<< "${SHARES:-0.5 0.8}"
table=$(mktemp)
trap 'rm -f "$table"' EXIT

# ends RUN METRIC: its value before and after the rl stage. `compare` takes two runs or more: the first of these is read.
ends() {
    "$cohort" compare "$1" "$1" --json | awk -v metric="$2" '
        /"(before|after)": \{/ { when = $1 }
        index($1, "\"" metric "\":") == 1 && $2 ~ /^-?[0-9]/ { sub(/,/, "", $2); if (!(when in value)) value[when] = $2 }
        END { print value["\"before\":"], value["\"after\":"] }'
}

echo "run share $(printf '%s ' "${terms[@]}")"
for run in "$@"; do
    "$cohort" export "$run" --csv "$table" > /dev/null
    for share in "${shares[@]}"; do
        line="$(basename "$run") $share"
        for term in "${terms[@]}"; do
            # `all`: every field is right.
            column=reward/$term metric=avg@4/$term
            [ "$term" != all ] || { column=correct metric=avg@4; }
            read -r before after <<< "$(ends "$run" "$metric")"
            line+=" $(awk -F, -v column="$column" -v before="$before" -v after="$after" -v share="$share" '
                NR == 1 { for (i = 1; i <= NF; i++) { if ($i == column) c = i; if ($i == "stage") s = i } next }
                $s == "rl" { x[++n] = $c }
                END {
                    goal = before + share * (after - before)
                    for (i = 1; i <= n; i++) {
                        sum = count = 0
                        for (j = i - 4; j <= i + 4; j++) if (j in x) { sum += x[j]; count++ }
                        if (after > before ? sum / count >= goal : sum / count <= goal) break
                    }
                    printf "%.2f->%.2f@%s", before, after, i <= n ? i : "never"
                }' "$table")"
        done
        echo "$line"
    done
done
