# Says where updates stand. $args[0] names a file of JSON: { "updates": [ { "id", "revision" } ] }.
$ErrorActionPreference = 'Stop'
$wish = Get-Content -Raw -Encoding UTF8 -LiteralPath $args[0] | ConvertFrom-Json
$searcher = (New-Object -ComObject Microsoft.Update.Session).CreateUpdateSearcher()
$searcher.Online = $false
$known = @{}
foreach ($criteria in 'IsInstalled=1', 'IsInstalled=0', 'RebootRequired=1') {
    foreach ($update in $searcher.Search($criteria).Updates) {
        $key = '{0}.{1}' -f $update.Identity.UpdateID, $update.Identity.RevisionNumber
        # What only waits for a reboot is in: nothing is left to be done for it but that.
        if ($criteria -eq 'RebootRequired=1') { $known[$key] = 'installed' }
        elseif (-not $known.ContainsKey($key)) {
            $known[$key] = if ($update.IsInstalled) { 'installed' } else { 'not installed' }
        }
    }
}
$standings = @(foreach ($update in $wish.updates) {
    $key = '{0}.{1}' -f $update.id, $update.revision
    $standing = if ($known.ContainsKey($key)) { $known[$key] } else { 'unknown to this machine' }
    @{ id = [string]$update.id; revision = [int]$update.revision; standing = $standing }
})
@{ updates = $standings } | ConvertTo-Json -Compress -Depth 4
