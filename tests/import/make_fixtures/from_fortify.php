<?php
// Makes the fixtures of Laravel Fortify with Laravel's own encrypter: Debian's php-cli and php-illuminate-encryption.
//
//   php from_fortify.php ../fixtures
//
// What is encrypted is what Fortify encrypts: EnableTwoFactorAuthentication.php and RecoveryCode.php of laravel/fortify.
foreach (['Contracts/Encryption/Encrypter', 'Contracts/Encryption/StringEncrypter', 'Contracts/Encryption/DecryptException',
    'Contracts/Encryption/EncryptException', 'Encryption/Encrypter'] as $file) {
    require "/usr/share/php/Illuminate/$file.php";
}
use Illuminate\Encryption\Encrypter;

$folder = $argv[1];
$current = str_repeat('k', 16) . str_repeat('K', 16);
$previous = str_repeat('p', 32);
$crypt = new Encrypter($current, 'aes-256-cbc');
$gcm = new Encrypter($current, 'aes-256-gcm');
$small = new Encrypter(str_repeat('s', 16), 'aes-128-cbc');
$old = new Encrypter($previous, 'aes-256-cbc');
$codes = ['aB3dE6gH9j-K2mN5pQ8sT', 'ZyXwVuTsRq-1029384756', 'fortyTwo42-fortyTwo43'];
$row = fn ($id, $email, $with, $secret, $codes, $confirmed) => [
    'id' => $id, 'name' => ucfirst(strstr($email, '@', true)), 'email' => $email, 'password' => '$2y$12$not-read',
    'two_factor_secret' => $secret === null ? null : $with->encrypt($secret),
    'two_factor_recovery_codes' => $codes === null ? null : $with->encrypt(json_encode($codes)),
    'two_factor_confirmed_at' => $confirmed,
];
$users = [
    $row(1, 'ann@example.com', $crypt, 'GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ', $codes, '2024-05-01 12:00:00'),
    // Fortify's own default: sixteen characters, 80 bits.
    $row(2, 'bob@example.com', $crypt, 'GEZDGNBVGY3TQOJQ', $codes, '2024-05-01 12:00:00'),
    $row(3, 'cleo@example.com', $crypt, 'MFRGGZDFMZTWQ2LKGEZDGNBVGY3TQOJQ', $codes, null),
    $row(4, 'dan@example.com', $crypt, null, null, null),
    // Encrypted before the key was changed.
    $row(5, 'eve@example.com', $old, 'NBSWY3DPO5XXE3DENBSWY3DPO5XXE3DE', $codes, '2024-05-01 12:00:00'),
];
// Somebody exchanged a byte of the ciphertext.
$broken = json_decode(base64_decode($crypt->encrypt('GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ')), true);
$broken['value'] = strrev($broken['value']);
$users[] = array_merge($row(6, 'fay@example.com', $crypt, null, null, '2024-05-01 12:00:00'),
    ['two_factor_secret' => base64_encode(json_encode($broken))]);

file_put_contents("$folder/fortify.json", json_encode($users, JSON_PRETTY_PRINT | JSON_UNESCAPED_SLASHES) . "\n");
$out = fopen("$folder/fortify.csv", 'w');
fputcsv($out, array_keys($users[0]));
foreach ($users as $user) { fputcsv($out, $user); }
fclose($out);
file_put_contents("$folder/fortify.key", 'base64:' . base64_encode($current) . "\nbase64:" . base64_encode($previous) . "\n");
file_put_contents("$folder/fortify-gcm.json", json_encode(
    [$row(1, 'ann@example.com', $gcm, 'GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ', $codes, '2024-05-01 12:00:00')], JSON_PRETTY_PRINT) . "\n");
file_put_contents("$folder/fortify-aes-128.json", json_encode(
    [$row(1, 'ann@example.com', $small, 'GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ', $codes, '2024-05-01 12:00:00')], JSON_PRETTY_PRINT) . "\n");
file_put_contents("$folder/fortify-aes-128.key", 'base64:' . base64_encode(str_repeat('s', 16)) . "\n");
