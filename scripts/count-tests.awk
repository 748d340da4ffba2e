# Reads the output of `cargo test`; prints failures, skips with their reasons and, as the last line, the counts.
# Exits with 1 if a test failed, cargo failed, or something was skipped where nothing may be.

function skip(name, reason) {
    if (name in reasons) return
    reasons[name] = reason
    order[++skipped] = name
}

# A test that found its requirement missing: it returned, so libtest counts it as passed.
match($0, /SKIPPED [^ ]+: /) {
    name = substr($0, RSTART + 8, RLENGTH - 10)
    if (!(name in reasons)) passed--
    skip(name, substr($0, RSTART + RLENGTH))
}

/^test .* \.\.\. ignored/ {
    reason = $0
    if (!sub(/^.* \.\.\. ignored, /, "", reason)) reason = "no reason given; enable with: cargo test -- --ignored"
    name = $0
    sub(/^test /, "", name)
    sub(/( - should panic)? \.\.\. ignored.*$/, "", name)
    skip(name, reason)
}

/^test .* \.\.\. FAILED$/ { failures[++failed] = $2 }

/^test result: / { passed += $4 }

/^warning: / { warnings++ }

END {
    print ""
    for (i = 1; i <= failed; i++) print "FAILED " failures[i]
    for (i = 1; i <= skipped; i++) print "SKIPPED " order[i] ": " reasons[order[i]]
    strict = all == "1" || ci == "true"
    if (strict && skipped) print "Nothing may be skipped here."
    if (strict && warnings) print "Nothing may warn here: " warnings " warning(s) above."
    if (status != 0 && !failed) print "cargo test failed without a failed test: see above."
    printf "%d passed, %d failed, %d skipped\n", passed, failed, skipped
    exit (status != 0 || failed || strict && (skipped || warnings)) ? 1 : 0
}
